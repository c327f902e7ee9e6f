/** The service `orders`: its handlers on a database, as a process. */
import { runListener } from '@waybill/listener';
import { openOrders } from './database.ts';
import { createHandlers } from './handlers.ts';

const orders = openOrders(process.env.ORDERS_DATABASE ?? 'orders.db');
process.on('exit', orders.close);

await runListener({ service: 'orders', handlers: createHandlers({ orders, chargeCard }) });

/** Stands in for a bank: what it does is in the number of the card. */
async function chargeCard(card: string, attempt: number): Promise<void> {
  if (card === 'flaky' && attempt < 3) throw new Error('the bank does not answer');
  if (card === 'broken') throw new Error('the bank answers nonsense');
}
