/**
 * What is needed of `node:http` as values. An `import` of it looks at every export, and so has Node load its own undici and
 * all that this needs: 60 to 80 ms of CPU at the start of each process, where this takes 7 (measured).
 */
export const { ServerResponse, STATUS_CODES } = process.getBuiltinModule('node:http');
