/** What the broker says of itself; a pino logger fits. */
export type Log = {
  [L in 'info' | 'warn' | 'error']: (fields: Record<string, unknown>, message: string) => void;
};

export const silentLog: Log = { info() {}, warn() {}, error() {} };

/** One JSON object per line. */
export function createJsonLog(write: (line: string) => void): Log {
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    const { err, ...rest } = fields;
    const time = Date.now();
    const line = {
      level,
      time,
      service: 'embedded-broker',
      ...rest,
      ...(err instanceof Error && { err: err.stack }),
    };
    write(`${JSON.stringify({ ...line, msg: message })}\n`);
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
