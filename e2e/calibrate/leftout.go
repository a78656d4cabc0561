package main

import "fmt"

// leftOut is a column of a published table that is not measured, and why.
type leftOut struct{ table, what, published, why string }

const (
	whyRequests = "a test of single requests: Sluice's unit of latency is the pod, for requests of one pod wait for one another"
	whyCounts   = "a test that Sluice does without; that naive rules blame healthy versions is shown by those above"
	whyPlanned  = "a size that is planned ahead and looked at once: Sluice looks at any time"
)

// leftOuts are what of T1 to T8 is neither Sluice's nor the yardstick beside it.
func leftOuts() []leftOut {
	return []leftOut{
		{"T1", "Fisher's test of a fixed size, 80% and 90% power", "313,302 / 406,824 to 395 / 468", whyPlanned},
		{"T2", "Mann-Whitney on the rates of minutes", ".144 / .039 steady, .042 / .010 drifting", whyCounts},
		{"T2", "Kayenta's rule each minute, and its detection", ".009 steady, .001 drifting; 479 s, 1,019 s", whyCounts},
		{"T3", "cumulative quantiles", "0 / 0 / .958", whyRequests},
		{"T3", "Mann-Whitney on raw times, and on the p99 of minutes", ".288 / 1 / 1; .033 / .008 / .493", whyCounts},
		{"T3", "Kayenta's rule each minute", ".003 / 0 / .013", whyCounts},
		{"T4", "p99 alone", "88,400 to 1,000", whyRequests},
		{"T4", "cumulative quantiles, time-uniform DKW bands", "above 300,000 to 2,800; 49,000 to 1,200", whyRequests},
		{"T4", "3% of requests 5x as slow", "13,000 and 3,000", whyRequests},
		{"T4", "Fisher's test at a known p99", "83,131 to 780", whyPlanned},
		{"T5", "tests of requests, and tempered ones", ".065 to .955; 0 to .485", whyRequests},
		{"T5", "signs of blocks", "0 to .355; 90 s", "the fallback below four pods: of 20 the ranks are used"},
		{"T6", "ranks of pods", ".030 / .028 / .035; 70 / 30 / 30 s", "errors are compared by requests, up to a cap in each block"},
		{"T7", "without restarts", "119 / 49 / 9 s", "the engine has restarts always; the row of what it costs them is the oracle's"},
		{"T8", "times of independent requests", "2,000 / 7,400 / 24,000 and 400 / 1,400 / 4,600", whyRequests},
	}
}

// String is its row.
func (l leftOut) String() string {
	return fmt.Sprintf("| %s | %s | %s | – | – | 0 | left out: %s |", l.table, l.what, l.published, l.why)
}
