/** Room for so many at once; whoever finds none waits for a turn. */
export type Room = {
  /** Resolves once there is room, in the order of the calls. */
  enter(): Promise<void>;
  /** Gives up the room of one. */
  leave(): void;
};

/** Creates {@link Room}. */
export function createRoom(max: number): Room {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return {
    async enter() {
      if (inside >= max) await new Promise<void>((resolve) => waiting.push(resolve));
      else inside += 1;
    },
    leave() {
      const next = waiting.shift();
      if (next) next();
      else inside -= 1;
    },
  };
}
