package review

import (
	"bytes"
	_ "embed" // page.html.tmpl is part of the binary
	"fmt"
	"html/template"
	"math"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

//go:embed page.html.tmpl
var pageText string

// HTML renders the review as one self-contained page: no script, no network.
func (r Review) HTML() ([]byte, error) {
	page, err := template.New("page").Funcs(template.FuncMap{
		"percent":   percent,
		"instant":   instant,
		"offset":    func(t time.Time) string { return offset(r.Decision.Began, t) },
		"confirmed": confirmed,
		"rate":      rate,
		"interval":  interval,
		"bar":       bar,
		"nats":      nats,
		"timeline":  func() timeline { return timelineOf(r) },
	}).Parse(pageText)
	if err == nil {
		page, err = page.Parse(abTestText)
	}
	if err != nil {
		return nil, fmt.Errorf("review page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("review page of %s %s: %w", r.Route, r.Rollout, err)
	}
	return out.Bytes(), nil
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// offset writes t as seconds after the rollout began.
func offset(began, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%+.3f s", t.Sub(began).Seconds())
}

func confirmed(d Decision) string {
	return canary.Finished{Ended: d.Ended, Confirmed: d.Confirmed, Unconfirmed: d.Unconfirmed}.ConfirmedText()
}

func rate(count, n int64) string {
	if n == 0 {
		return "no requests"
	}
	return fmt.Sprintf("%d of %d (%.3g%%)", count, n, 100*float64(count)/float64(n))
}

// nats writes evidence; what rounds to nothing has no sign.
func nats(v float64) string {
	if text := fmt.Sprintf("%.2f", v); text != "-0.00" {
		return text
	}
	return "0.00"
}

func interval(i analysis.Interval) string {
	switch {
	case i == (analysis.Interval{}):
		return "–"
	case i.High == 0 && i.Low == 0:
		return fmt.Sprintf("%.3g", i.Estimate)
	case i.High == 0:
		return fmt.Sprintf("%.3g, at least %.3g", i.Estimate, i.Low)
	default:
		return fmt.Sprintf("%.3g in [%.3g, %.3g]", i.Estimate, i.Low, i.High)
	}
}

// bar is how much of the needed evidence there is, 0 to 100.
func bar(logE, needed float64) int {
	if needed <= 0 || math.IsNaN(logE) {
		return 0
	}
	return int(math.Round(100 * max(0, min(1, logE/needed))))
}

// timeline is the candidate's share over time, in the units of a 720 × 160
// drawing.
type timeline struct {
	Path     string
	Acked    []mark
	Observed []mark
	Labels   []mark
}

type mark struct {
	X, Y float64
	Text string
}

const (
	drawingWidth  = 720.0
	drawingHeight = 160.0
)

func timelineOf(r Review) timeline {
	var t timeline
	if len(r.Steps) == 0 {
		return t
	}
	end := r.Decision.Ended
	for _, at := range []time.Time{r.At, r.Steps[len(r.Steps)-1].Desired} {
		if end.IsZero() || (r.Decision.Ended.IsZero() && at.After(end)) {
			end = at
		}
	}
	start := r.Decision.Began
	whole := max(end.Sub(start).Seconds(), 1e-3)
	x := func(at time.Time) float64 {
		return drawingWidth * max(0, min(1, at.Sub(start).Seconds()/whole))
	}
	y := func(weight uint32) float64 { return drawingHeight * (1 - float64(weight)/10000) }

	t.Path = fmt.Sprintf("M0 %.1f", y(0))
	for _, s := range r.Steps {
		t.Path += fmt.Sprintf("H%.1fV%.1f", x(s.Desired), y(s.Weight))
		t.Labels = append(t.Labels, mark{x(s.Desired), y(s.Weight), percent(s.Weight)})
		if !s.Acked.IsZero() {
			t.Acked = append(t.Acked, mark{x(s.Acked), y(s.Weight), fmt.Sprintf("epoch %d acknowledged %s", s.Epoch, offset(start, s.Acked))})
		}
		if !s.Observed.IsZero() {
			t.Observed = append(t.Observed, mark{x(s.Observed), y(s.Weight), fmt.Sprintf("epoch %d observed %s", s.Epoch, offset(start, s.Observed))})
		}
	}
	t.Path += fmt.Sprintf("H%.1f", drawingWidth)
	return t
}
