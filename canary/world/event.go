package world

import "github.com/sluice-dev/sluice/analysis"

// Event is something a control plane learns: *Logged, *Acked, *Loaded or Ticked.
type Event interface{ happened() }

// Logged is a batch of access-log entries of one proxy, as it arrived.
type Logged struct{ Entries []analysis.Request }

// Acked says that a proxy confirmed the split of an epoch.
type Acked struct {
	Proxy string
	Epoch uint64
}

// Loaded is a load report.
type Loaded struct{ Load analysis.Load }

// Ticked says that Spec.Tick has passed.
type Ticked struct{}

func (*Logged) happened() {}
func (*Acked) happened()  {}
func (*Loaded) happened() {}
func (Ticked) happened()  {}
