#!/usr/bin/env python3
"""Places an order, as a client of Waybill does, with nothing but Python's own library.

    python3 examples/python-client/client.py [URL]

What matters is `ask`: which answers may be sent again, and how. 503 means that the event was not accepted, and 429 that it
was one too many: nothing has run. 504 means that nobody knows, so it goes again under the same id, with which a
listener tells that it is the same event.
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid

ATTEMPTS = 5
TIMEOUT_S = 35  # Waybill answers within 30 s, with a 504 if need be


class Refused(Exception):
    """The answer is a problem (RFC 9457) that no further attempt would change."""

    def __init__(self, problem):
        super().__init__(f"{problem['status']} {problem['code']}: {problem.get('detail', problem['title'])}")
        self.problem = problem


def ask(url, event_type, data):
    """Sends an event and returns the data of the reply; None where there is nothing to say."""
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/examples/python-client",
        "type": event_type,
        "data": data,
    }
    for attempt in range(ATTEMPTS):
        status, headers, body = post(url, event)
        if status == 204:
            return None
        if status == 200:
            return json.loads(body)["data"]
        problem = json.loads(body)
        if status not in (429, 503, 504) or attempt == ATTEMPTS - 1:
            raise Refused(problem)
        # An exponential pause, or what the server asks for.
        time.sleep(float(headers.get("retry-after", 0.2 * 2**attempt)))


def post(url, event):
    request = urllib.request.Request(
        f"{url}/events",
        data=json.dumps(event).encode(),
        headers={"content-type": "application/cloudevents+json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"
    placed = ask(url, "Order.Place", {"sku": "tea", "quantity": 2})
    print(f"placed order {placed['orderId']}")
    paid = ask(url, "Order.Pay", {"orderId": placed["orderId"], "card": "good"})
    print(f"paid at attempt {paid['attempt']}")
    try:
        ask(url, "Order.Place", {"sku": "tea", "quantity": 0})
    except Refused as refused:
        print(f"refused: {refused.problem['errors'][0]['pointer']}")


if __name__ == "__main__":
    main()
