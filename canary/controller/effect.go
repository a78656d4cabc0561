package controller

import (
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Store keeps checkpoints. canary/filestore is one.
type Store interface {
	// Load gives the last saved checkpoint, and whether there is one. Its ABTest is the
	// last that was saved.
	Load(k config.Key) (c canary.Checkpoint, ok bool, err error)
	// Save makes a checkpoint and the decisions since the last one durable, all or
	// nothing, before it returns. Without an ABTest, it keeps the one it has while that
	// runs.
	Save(c canary.Checkpoint, made []canary.Decision) error
}

// Publisher brings splits to proxies. It returns at once; how far they came is
// told by Acked and Nacked.
type Publisher interface {
	// Publish serves an inference route as configured, under a split.
	Publish(route config.InferenceRoute, split config.Split) error
	// Withdraw no longer serves it.
	Withdraw(k config.Key)
}

// Recorder hears of every decision, after it was acted on. It must not block.
type Recorder interface {
	Record(d canary.Decision, s Snapshot)
}

// Notifier tells people. It must not block.
type Notifier interface {
	Notify(n canary.Notice)
}
