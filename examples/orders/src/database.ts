/** The orders, in SQLite. An event has its effect once: its key is in the same row, and so in the same transaction. */
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import type { NewOrder } from './handlers.ts';

export type Order = NewOrder & { orderId: string; isPaid: boolean };

export type Orders = {
  /**
   * Places an order, or finds the one that this event has placed before.
   *
   * @param eventKey the event's source and id
   * @returns its id
   */
  place(eventKey: string, order: NewOrder): string;
  find(orderId: string): Order | undefined;
  pay(orderId: string): void;
  all(): Order[];
  close(): void;
};

/** @param path of the file, or `:memory:` */
export function openOrders(path: string): Orders {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS orders (
      order_id TEXT PRIMARY KEY,
      event_key TEXT NOT NULL UNIQUE,
      sku TEXT NOT NULL,
      quantity INTEGER NOT NULL,
      is_paid INTEGER NOT NULL DEFAULT 0
    ) STRICT`);
  const insert = database.prepare(
    'INSERT INTO orders (order_id, event_key, sku, quantity) VALUES (?, ?, ?, ?) ON CONFLICT (event_key) DO NOTHING',
  );
  const byEvent = database.prepare('SELECT order_id FROM orders WHERE event_key = ?');
  const byId = database.prepare('SELECT * FROM orders WHERE order_id = ?');
  const every = database.prepare('SELECT * FROM orders ORDER BY order_id');
  const setPaid = database.prepare('UPDATE orders SET is_paid = 1 WHERE order_id = ?');

  return {
    place(eventKey, { sku, quantity }) {
      insert.run(randomUUID(), eventKey, sku, quantity);
      return String(byEvent.get(eventKey)?.order_id);
    },
    find(orderId) {
      const row = byId.get(orderId);
      return row && toOrder(row);
    },
    pay: (orderId) => void setPaid.run(orderId),
    all: () => every.all().map(toOrder),
    close: () => database.close(),
  };
}

function toOrder({ order_id, sku, quantity, is_paid }: Record<string, unknown>): Order {
  return { orderId: String(order_id), sku: String(sku), quantity: Number(quantity), isPaid: is_paid === 1 };
}
