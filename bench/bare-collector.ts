/** A collector of grpc-js alone, beside which a hop of the mesh is measured: it answers each Serve with its input. */
import { startStrangerPeer } from '@waybill/test-harness/collector-stranger.ts';

const peer = await startStrangerPeer('bare', []);
peer.onServe = ({ input }) => {
  // It notes what it was sent, of which nobody asks here.
  peer.received.length = 0;
  return { status: { code: 200, message: 'OK' }, output: input, executor_id: 'bare' };
};
console.log(JSON.stringify({ msg: 'listening', port: Number(peer.address.split(':')[1]) }));
