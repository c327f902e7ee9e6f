/**
 * NumPy's file of one array, versions 1.0, 2.0 and 3.0:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. After a magic comes a Python dictionary with
 * `descr`, `fortran_order` and `shape`, in any order, then the array.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { Dataset } from './dataset.ts';

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const VERSION_END = MAGIC.length + 2;
/** The bounds of NumPy itself: `max_header_size` of `numpy.load`, and `NPY_MAXDIMS`. */
const MAX_HEADER_BYTES = 10_000;
const MAX_AXES = 64;

/** Kind and bytes of an element, as in `descr`, to NumPy's name. */
const dataTypes = new Map([
  ['b1', 'bool'],
  ['i1', 'int8'],
  ['i2', 'int16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['u1', 'uint8'],
  ['u2', 'uint16'],
  ['u4', 'uint32'],
  ['u8', 'uint64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
]);

type Fields = Map<string, string>;

/**
 * Reads an array whose first axis counts the samples; the data is a part of `bytes`, not a copy. Throws AppError
 * `invalid-dataset` for anything that is not little-endian, in C order, of booleans, integers or real numbers, with one axis
 * or more and none of them empty, and for a size that is not the one its header says.
 */
export function readNpy(bytes: Buffer): Dataset {
  const { header, dataStart } = splitHeader(bytes);
  const fields = parseFields(header);
  const { dataType, elementBytes } = toDataType(fieldOf(fields, 'descr'));
  checkOrder(fieldOf(fields, 'fortran_order'));
  const shape = toShape(fieldOf(fields, 'shape'));
  const data = bytes.subarray(dataStart);
  checkSize(shape, elementBytes, data.length);
  const [samples, ...sampleShape] = shape as [number, ...number[]];
  return { data, samples, sampleShape, dataType };
}

function splitHeader(bytes: Buffer): { header: string; dataStart: number } {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw invalid('wrong magic');
  const [major = 0, minor = 0] = bytes.subarray(MAGIC.length, VERSION_END);
  if (major < 1 || major > 3 || minor !== 0) throw invalid(`version ${major}.${minor} is not known`);
  const start = VERSION_END + (major === 1 ? 2 : 4);
  if (bytes.length < start) throw invalid('truncated: it ends in its header');
  const length = major === 1 ? bytes.readUInt16LE(VERSION_END) : bytes.readUInt32LE(VERSION_END);
  if (length > MAX_HEADER_BYTES) throw invalid(`a header of ${length} bytes is too long`);
  const dataStart = start + length;
  if (bytes.length < dataStart) throw invalid('truncated: it ends in its header');
  return { header: bytes.toString(major === 3 ? 'utf8' : 'latin1', start, dataStart), dataStart };
}

/** The values as they are written; only what these three keys can have is Python enough to be taken. */
function parseFields(header: string): Fields {
  if (/["']descr["']\s*:\s*\[/.test(header)) throw invalid('structured dtypes are not supported');
  const dictionary = /^\s*\{(.*)\}\s*$/s.exec(header)?.[1];
  if (dictionary === undefined) throw invalid('its header is not a dictionary');
  const field = /\s*(["'])(\w+)\1\s*:\s*('[^'\\]*'|"[^"\\]*"|True|False|\([\dL\s,]*\))\s*(?:,\s*|$)/y;
  const fields: Fields = new Map();
  while (field.lastIndex < dictionary.length) {
    const [, , key, value] = field.exec(dictionary) ?? [];
    if (key === undefined || value === undefined) throw invalid('its header is malformed');
    if (fields.has(key)) throw invalid(`its header has ${key} twice`);
    fields.set(key, value);
  }
  if (fields.size !== 3) throw invalid('its header has not descr, fortran_order and shape alone');
  return fields;
}

function fieldOf(fields: Fields, key: string): string {
  const value = fields.get(key);
  if (value === undefined) throw invalid(`its header has no ${key}`);
  return value;
}

/** Byte order (`|` where there is none), kind, bytes. */
function toDataType(descr: string): { dataType: string; elementBytes: number } {
  const [, order, kind = '', digits] = /^["'](.)(\w(\d+))["']$/.exec(descr) ?? [];
  if (order === '>') throw invalid(`dtype ${descr} is big-endian; only little-endian is supported`);
  const dataType = dataTypes.get(kind);
  const elementBytes = Number(digits);
  if (!dataType || !(order === '<' || (order === '|' && elementBytes === 1)))
    throw invalid(`dtype ${JSON.stringify(descr)} is not supported`);
  return { dataType, elementBytes };
}

function checkOrder(fortranOrder: string): void {
  if (fortranOrder === 'True') throw invalid('Fortran order is not supported, only C order');
  if (fortranOrder !== 'False') throw invalid('fortran_order is not True or False');
}

/** A Python tuple: that of one element ends with a comma, any other may. Python 2 marked its long numbers with an L. */
function toShape(tuple: string): number[] {
  if (/^\(\s*\)$/.test(tuple)) throw invalid('an array without axes has no samples');
  const axes =
    /^\((.*)\)$/s
      .exec(tuple)?.[1]
      ?.split(',')
      .map((axis) => axis.trim()) ?? [];
  if (axes.length < 2) throw invalid('shape is not a tuple');
  if (axes.at(-1) === '') axes.pop();
  if (!axes.every((axis) => /^\d+L?$/.test(axis))) throw invalid('shape is not a tuple of numbers');
  if (axes.length > MAX_AXES) throw invalid(`${axes.length} axes are more than ${MAX_AXES}`);
  return axes.map((axis) => Number(axis.replace('L', '')));
}

/** A product that is too large to be exact is larger than any file, so it never fits by mistake. */
function checkSize(shape: number[], elementBytes: number, dataBytes: number): void {
  if (shape.includes(0)) throw invalid(`shape (${shape.join(', ')}) has no elements`);
  const needed = shape.reduce((product, axis) => product * axis, elementBytes);
  if (needed === dataBytes) return;
  const fault = needed > dataBytes ? 'truncated' : 'too long';
  throw invalid(`${fault}: shape (${shape.join(', ')}) needs ${needed} bytes, there are ${dataBytes}`);
}

function invalid(reason: string): AppError {
  return new AppError('invalid-dataset', `NPY: ${reason}`);
}
