/** What the user's listeners say of the data of their types, in a file that public-web reads when somebody asks for it. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTypeDescriptions, type TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { getText } from './get-text.ts';

export type Descriptions = {
  /** For `TYPE_DESCRIPTIONS_FILE`. */
  file: string;
  /** Reads what the listener `name` says now, whose `/health/ready` is at `readyUrl`. Never rejects: what it says is for readers alone. */
  read(name: string, readyUrl: string): Promise<void>;
  remove(): void;
};

/** Creates the file, of no types yet. */
export function createDescriptions(): Descriptions {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-types-'));
  const file = join(folder, 'types.json');
  const byListener = new Map<string, TypeDescriptions>();
  write();

  /** Whole, whenever it is read. */
  function write(): void {
    const types: TypeDescriptions = Object.assign({}, ...byListener.values());
    writeFileSync(`${file}.new`, JSON.stringify(types));
    renameSync(`${file}.new`, file);
  }

  return {
    file,
    async read(name, readyUrl) {
      try {
        const { status, body } = await getText(new URL('/types', readyUrl).href);
        if (status !== 200) return;
        byListener.set(name, parseTypeDescriptions(body));
        write();
      } catch {
        // It has ended since, or is of a version that does not say: what it said before may still hold.
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
