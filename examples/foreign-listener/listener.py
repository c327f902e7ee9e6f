#!/usr/bin/env python3
"""A listener in Python: the service `prices`, which answers Price.Quote. docs/other-languages.md has the protocol.

    python3 examples/foreign-listener/listener.py

It needs pika (Debian: python3-pika) and AMQP_URL. It keeps the rules that what Waybill promises rests on: it publishes what
an event leads to, waits until the broker has it, and only then acks the event.
"""

import json
import os
import signal
import socket
import sys
import time
import uuid
from datetime import datetime, timezone

import pika

SERVICE = "prices"
QUEUE = f"waybill.{SERVICE}"
PREFETCH = 16
RETRY_DELAYS_MS = [200, 1000, 5000]  # the last one repeats
MAX_ATTEMPTS = 5
PRICES = {"tea": 450, "coffee": 890}


class Problem(Exception):
    """What the client is told instead of a reply (RFC 9457): no retry, no dead letter."""

    def __init__(self, status, code, title, **members):
        super().__init__(code)
        self.members = {"type": "about:blank", "status": status, "code": code, "title": title, **members}


def quote(data):
    """The handler: the data of the event in, the type and the data of the reply out."""
    if not isinstance(data, dict) or not isinstance(data.get("quantity"), int) or data["quantity"] < 1:
        fault = {"pointer": "#/quantity", "detail": "must be a whole number from 1 up"}
        raise Problem(422, "not-a-quantity", "The data is not as it has to be", errors=[fault])
    if data.get("sku") not in PRICES:
        raise Problem(404, "no-such-thing", "Nothing is called so", detail=f"there is no {data.get('sku')}")
    return "Price.Quoted", {"sku": data["sku"], "cents": PRICES[data["sku"]] * data["quantity"]}


HANDLERS = {"Price.Quote": quote}


def declare(channel):
    """Everything a listener needs, exactly as Waybill declares it: other arguments would be refused (406)."""
    for name, kind in (("events", "topic"), ("types", "topic"), ("replies", "direct"), ("dead-letters", "fanout")):
        channel.exchange_declare(f"waybill.{name}", kind, durable=True)
    bound = {"x-max-length": 1_000_000, "x-max-length-bytes": 4 * 1024**3}
    safe = {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        **bound,
    }
    work = {**safe, "x-delivery-limit": 20, "x-dead-letter-exchange": "waybill.dead-letters"}
    channel.queue_declare(QUEUE, durable=True, arguments=work)
    for delay in RETRY_DELAYS_MS:
        back = {"x-message-ttl": delay, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": QUEUE}
        channel.queue_declare(f"{QUEUE}.retry.{delay}", durable=True, arguments={**safe, **back})
    # It keeps nothing: that it is bound tells dispatchers that somebody answers the type.
    types = {"x-queue-type": "quorum", "x-max-length": 0, "x-overflow": "drop-head"}
    channel.queue_declare(f"{QUEUE}.types", durable=True, arguments=types)
    for event_type in HANDLERS:
        channel.queue_bind(f"{QUEUE}.types", "waybill.types", event_type)
        channel.queue_bind(QUEUE, "waybill.events", event_type)


def on_delivery(channel, method, properties, body):
    """A message holds one event, or a batch of them. It is acked last, when all that came of it is at the broker."""
    try:
        message = json.loads(body)
        events = message if properties.content_type.startswith("application/cloudevents-batch+json") else [message]
        failed_before = (properties.headers or {}).get("waybill-failed-attempts", 0)
        for event in events:
            handle(channel, event, failed_before)
    except (ValueError, AttributeError) as error:
        dead_letter(channel, body, properties.content_type, "unparsable", str(error), 1)
    channel.basic_ack(method.delivery_tag)


def handle(channel, event, failed_before):
    if has_expired(event):
        return
    try:
        reply_type, data = HANDLERS[event["type"]](event.get("data"))
        reply(channel, event, reply_type, data)
    except Problem as problem:
        reply_problem(channel, event, {**problem.members, "event_id": event["id"]})
    except Exception as error:  # whatever it is, another attempt may help
        print(f"attempt {failed_before + 1} at {event['id']} failed: {error!r}", file=sys.stderr)
        retry_or_give_up(channel, event, failed_before + 1, error)


def retry_or_give_up(channel, event, failed, error):
    delay = RETRY_DELAYS_MS[min(failed, len(RETRY_DELAYS_MS)) - 1]
    if failed < MAX_ATTEMPTS and not has_expired(event, within_s=delay / 1000):
        headers = {"waybill-failed-attempts": failed}
        return publish(channel, "", f"{QUEUE}.retry.{delay}", json.dumps(event), "application/cloudevents+json", headers)
    dead_letter(channel, json.dumps(event), "application/cloudevents+json", "handler-failed", str(error), failed)
    reply_problem(
        channel,
        event,
        {
            "type": "urn:waybill:problem:handler-failed",
            "status": 502,
            "code": "handler-failed",
            "title": "The listener failed",
            "event_id": event["id"],
        },
    )


def reply_problem(channel, event, problem):
    reply(channel, event, "waybill.Problem", problem, datacontenttype="application/problem+json")


def reply(channel, event, reply_type, data, **attributes):
    """Answers whoever waits for the event, if anybody does: the address of the event is copied, and not read."""
    if "replyto" not in event:
        return
    carried = ("correlationid", "replyto", "expirytime", "traceparent", "tracestate")
    made = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/waybill/{SERVICE}",
        "type": reply_type,
        "time": datetime.now(timezone.utc).isoformat(),
        "handledby": f"{SERVICE}/{socket.gethostname()}-{os.getpid()}",
        "data": data,
        **attributes,
        **{name: event[name] for name in carried if name in event},
    }
    # Another listener that asks is answered in a queue of its own; everybody else through the dispatchers.
    exchange, key = "waybill.replies", "waybill.replies"
    if event["replyto"].startswith("requester:"):
        exchange, key = "", "waybill." + event["replyto"].removeprefix("requester:")
    publish(channel, exchange, key, json.dumps(made), "application/cloudevents+json")


def dead_letter(channel, body, content_type, reason, message, attempts):
    headers = {
        "waybill-reason": reason,
        "waybill-queue": QUEUE,
        "waybill-attempts": attempts,
        "waybill-error-code": reason,
        "waybill-error-message": message[:1000],
        "waybill-dead-lettered-at": datetime.now(timezone.utc).isoformat(),
    }
    publish(channel, "waybill.dead-letters", "", body, content_type, headers)


def publish(channel, exchange, routing_key, body, content_type, headers=None):
    """Returns when the broker has it on disk; raises when it does not take it, so that the event is not acked."""
    properties = pika.BasicProperties(content_type=content_type, delivery_mode=2, headers=headers)
    channel.basic_publish(exchange, routing_key, body, properties, mandatory=exchange != "" or "retry" in routing_key)


def has_expired(event, within_s=0.0):
    if "expirytime" not in event:
        return False
    deadline = datetime.fromisoformat(event["expirytime"].replace("Z", "+00:00"))
    return deadline.timestamp() < time.time() + within_s


def main():
    parameters = pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672"))
    # The handler runs between two heartbeats: one that takes longer needs a thread of its own.
    parameters.heartbeat = 60
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        try:
            channel = pika.BlockingConnection(parameters).channel()
            channel.confirm_delivery()
            channel.basic_qos(prefetch_count=PREFETCH)
            declare(channel)
            channel.basic_consume(QUEUE, on_delivery)
            print(f"{SERVICE} is listening", flush=True)
            channel.start_consuming()
        except (pika.exceptions.AMQPError, OSError) as error:
            # What was not acked is delivered again.
            print(f"the broker is away: {error!r}", file=sys.stderr)
            time.sleep(1)


if __name__ == "__main__":
    main()
