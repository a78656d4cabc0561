package serving_test

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

func ExampleBatcher() {
	b, err := serving.New(serving.Config{MaxBatch: 8, Capacity: 64})
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.Learn(now, "", 1, serving.Spent{Device: 10 * time.Millisecond})
	b.Learn(now, "", 8, serving.Spent{Device: 17 * time.Millisecond})

	_ = b.Admit(now, serving.Request{ID: 1, Items: 1})
	d := b.Next(now)
	fmt.Println("a free device starts at once:", len(d.Batch.Requests))

	_ = b.Admit(now, serving.Request{ID: 2, Items: 1, Deadline: now.Add(100 * time.Millisecond)})
	_ = b.Admit(now, serving.Request{ID: 3, Items: 1, Deadline: now.Add(50 * time.Millisecond)})
	fmt.Println(b.Admit(now, serving.Request{ID: 4, Items: 1, Deadline: now.Add(5 * time.Millisecond)}) != nil, "is refused")

	now = now.Add(10 * time.Millisecond)
	b.Done(now, d.Batch.ID, serving.Spent{Device: 10 * time.Millisecond})
	for _, r := range b.Next(now).Batch.Requests {
		fmt.Println("then, by deadline:", r.ID)
	}
	// Output:
	// a free device starts at once: 1
	// true is refused
	// then, by deadline: 3
	// then, by deadline: 2
}
