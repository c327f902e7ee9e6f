/** The connection of a gRPC channel: whether it is up, when it comes up, and when it is lost. */
import { type ChannelInterface, connectivityState } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';

/** Watches the connection of `channel`; `onDropped` is called each time it is lost. */
export function createConnected(channel: ChannelInterface, onDropped: () => void) {
  let isClosed = false;
  let isWatched = false;

  return {
    /** Begins to connect where it is not. */
    isUp: () => channel.getConnectivityState(true) === connectivityState.READY,
    /** @throws AppError `not-accepted` as soon as nobody can be reached, or after `deadlineMs`. */
    comesUp: (deadlineMs: number) => untilReady(channel, Date.now() + deadlineMs),
    /** Has `onDropped` called when the connection, which is up, is lost. */
    watch(): void {
      if (isWatched) return;
      isWatched = true;
      channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
        isWatched = false;
        if (!isClosed) onDropped();
      });
    },
    isClosed: () => isClosed,
    close() {
      isClosed = true;
    },
  };
}

function untilReady(channel: ChannelInterface, deadline: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return resolve();
      if (state === connectivityState.SHUTDOWN || state === connectivityState.TRANSIENT_FAILURE)
        return reject(new AppError('not-accepted', 'no connection can be made'));
      channel.watchConnectivityState(state, deadline, (error) => {
        if (error) reject(new AppError('not-accepted', 'no connection is made in time'));
        else look();
      });
    };
    look();
  });
}
