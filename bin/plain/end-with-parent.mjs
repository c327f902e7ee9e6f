/**
 * Loaded first, it has this process told to stop when the one that started it has ended in whatever way: after a SIGKILL
 * nothing of that one's runs. Plain JavaScript without dependencies.
 */
const INTERVAL_MS = 500;

const { ppid } = process;
const timer = setInterval(() => {
  if (process.ppid === ppid) return;
  clearInterval(timer);
  process.kill(process.pid, 'SIGTERM');
}, INTERVAL_MS).unref();
