package controller

import (
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Store keeps checkpoints. canary/filestore is one.
type Store interface {
	// Load gives the last saved checkpoint, and whether there is one.
	Load(config.Key) (canary.Checkpoint, bool, error)
	// Save makes a checkpoint and the decisions since the last one durable, all or
	// nothing, before it returns.
	Save(canary.Checkpoint, []canary.Decision) error
}

// Publisher brings splits to proxies. It returns at once; how far they came is
// told by Acked and Nacked.
type Publisher interface {
	// Publish serves an inference route as configured, under a split.
	Publish(config.InferenceRoute, config.Split) error
	// Withdraw no longer serves it.
	Withdraw(config.Key)
}

// Recorder hears of every decision, after it was acted on. It must not block.
type Recorder interface {
	Record(canary.Decision, Snapshot)
}

// Notifier tells people. It must not block.
type Notifier interface {
	Notify(canary.Notice)
}
