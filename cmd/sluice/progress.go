package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
)

// progress draws a bar on a terminal, and nothing elsewhere. One goroutine at a
// time may call it.
type progress struct {
	out   io.Writer
	shown bool
	began time.Time
	drawn time.Time
}

// newProgress draws on out if that is a terminal.
func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, shown: ok && term.IsTerminal(f.Fd()), began: time.Now()}
}

const barWidth = 40

// show draws the bar anew, at most ten times a second.
func (p *progress) show(done, of int) {
	now := time.Now()
	if !p.shown || of == 0 || done < of && now.Sub(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = now
	full := barWidth * done / of
	left := "…"
	if done > 0 {
		left = (now.Sub(p.began) * time.Duration(of-done) / time.Duration(done)).Round(time.Second).String()
	}
	fmt.Fprintf(p.out, "\r[%s%s] %d%%, %s to go  ", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done/of, left)
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.shown && !p.drawn.IsZero() {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", barWidth+40))
	}
}

// reading is the progress of reading a file of a known size.
type reading struct {
	*progress

	size int64
}

// readingBar measures the file that is read; of standard input nothing is known.
func readingBar(cmd *cobra.Command, path string) reading {
	info, err := os.Stat(path)
	if path == "-" || err != nil {
		return reading{progress: newProgress(io.Discard), size: 1}
	}
	return reading{progress: newProgress(cmd.ErrOrStderr()), size: max(1, info.Size())}
}

func (r reading) read(bytes int64) { r.show(int(1000*bytes/r.size), 1000) }
