/**
 * `npm run audit`: exits 1 when a package that the project uses has a published security advisory that is not excepted in
 * `.ci/audit-exceptions.json`, an array of
 *
 *     { "advisory": "GHSA-…", "reason": "why it does not concern us", "until": "2027-03-31" }
 *
 * An exception ends with the day `until`, so that somebody looks again. Where the registry cannot be asked nothing is known: that
 * is said on stderr, and exits 0, because a build must not depend on it.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

const TIMEOUT_MS = 60_000;
const exceptionsFile = process.argv[2] ?? new URL('audit-exceptions.json', import.meta.url);

/** @typedef {{ advisory: string, reason: string, until: string }} Exception */
/** @typedef {{ name: string, severity: string, title: string, url: string }} Advisory */

/** @type {Exception[]} */
const exceptions = JSON.parse(readFileSync(exceptionsFile, 'utf8'));
const today = new Date().toISOString().slice(0, 10);
const advisories = await ask();
if (advisories === undefined) process.exit(0);

const isExcepted = (/** @type {Advisory} */ { url }) =>
  exceptions.some(({ advisory, until }) => url.endsWith(`/${advisory}`) && today <= until);
const open = advisories.filter((advisory) => !isExcepted(advisory));
for (const { name, severity, title, url } of open) console.error(`${severity}: ${name}: ${title} (${url})`);
for (const { advisory } of exceptions)
  if (!advisories.some(({ url }) => url.endsWith(`/${advisory}`)))
    console.error(`the exception of ${advisory} is no longer needed`);
console.log(`${advisories.length} advisories, ${advisories.length - open.length} of them excepted`);
process.exit(open.length > 0 ? 1 : 0);

/** @returns {Promise<Advisory[] | undefined>} undefined when the registry does not tell */
async function ask() {
  const answer = await npmAudit();
  const { vulnerabilities, message } = JSON.parse(answer || '{}');
  if (vulnerabilities) return toAdvisories(vulnerabilities);
  console.error(`NOT CHECKED for security advisories: ${message ?? 'npm audit gave no answer'}`);
  return undefined;
}

/** @returns {Promise<string>} its JSON, also when it exits 1 because it found something */
function npmAudit() {
  return new Promise((resolve) => {
    execFile('npm', ['audit', '--json'], { timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

/**
 * Packages also name the vulnerable packages that they depend on; each advisory counts once.
 *
 * @param {Record<string, { via: (string | Advisory)[] }>} vulnerabilities
 * @returns {Advisory[]}
 */
function toAdvisories(vulnerabilities) {
  const found = Object.values(vulnerabilities).flatMap(({ via }) =>
    via.filter((each) => typeof each !== 'string'),
  );
  return [...new Map(found.map((advisory) => [advisory.url, advisory])).values()];
}
