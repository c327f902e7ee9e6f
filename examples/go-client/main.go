// Places an order, as a client of Waybill does, with nothing but Go's own library.
//
//	cd examples/go-client && go run . [URL]
//
// What matters is ask: which answers may be sent again, and how. 503 means that the event was not accepted, and 429 that it
// was one too many: nothing has run. 504 means that nobody knows, so it goes again under the same id, with which a
// listener tells that it is the same event.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	attempts = 5
	timeout  = 35 * time.Second // Waybill answers within 30 s, with a 504 if need be
)

// Problem is what an event that got no reply is answered with (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

type event struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Data        any    `json:"data"`
}

// ask sends an event, and reads the data of the reply into reply. It returns a *Problem for an answer that is one.
func ask(ctx context.Context, url, eventType string, data, reply any) error {
	body, err := json.Marshal(event{"1.0", newID(), "/examples/go-client", eventType, data})
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		pause, err := post(ctx, url, body, reply)
		if err == nil || pause == 0 || attempt == attempts {
			return err
		}
		select {
		case <-time.After(pause << (attempt - 1)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// post returns an error with how long to wait before the same event is sent again; 0 where that would not help.
func post(ctx context.Context, url string, body []byte, reply any) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/events", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("content-type", "application/cloudevents+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 200 * time.Millisecond, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNoContent:
		return 0, nil
	case http.StatusOK:
		return 0, json.NewDecoder(response.Body).Decode(&struct {
			Data any `json:"data"`
		}{reply})
	}
	problem := &Problem{}
	if err := json.NewDecoder(response.Body).Decode(problem); err != nil {
		return 0, err
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, err := strconv.Atoi(response.Header.Get("retry-after")); err == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second, problem
		}
		return 200 * time.Millisecond, problem
	}
	return 0, problem
}

func newID() string {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", id)
}

func run(ctx context.Context, url string) error {
	var placed struct {
		OrderID string `json:"orderId"`
	}
	order := map[string]any{"sku": "tea", "quantity": 2}
	if err := ask(ctx, url, "Order.Place", order, &placed); err != nil {
		return err
	}
	fmt.Println("placed order", placed.OrderID)

	var paid struct {
		Attempt int `json:"attempt"`
	}
	payment := map[string]any{"orderId": placed.OrderID, "card": "good"}
	if err := ask(ctx, url, "Order.Pay", payment, &paid); err != nil {
		return err
	}
	fmt.Println("paid at attempt", paid.Attempt)

	order["quantity"] = 0
	var problem *Problem
	if err := ask(ctx, url, "Order.Place", order, nil); !errors.As(err, &problem) {
		return fmt.Errorf("an order of nothing was taken: %v", err)
	}
	fmt.Println("refused:", problem.Errors[0].Pointer)
	return nil
}

func main() {
	url := "http://localhost:8080"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if err := run(context.Background(), url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
