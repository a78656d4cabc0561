package config

// Shadow copies a share of a version's requests to another one. Users are served by
// the first alone, and wait for nothing of the second: its answers are thrown away,
// and no more than 32 requests of each proxy are under way to it, beyond which copies
// are not sent. It needs mirroring: Allowed. It lasts until somebody writes another
// strategy. Where spec.analysis names a policy with a metric answers, it is said how the
// second's answers compare with the first's; nothing is done about it. Where bodies are
// compared, the first is sent copies, too: of answers that users get, none is read.
type Shadow struct {
	Of string `json:"of"` // the version that users get
	To string `json:"to"` // the version that copies are sent to
	// Percent is the share of requests that are copied.
	Percent Percent `json:"percent"`
}
