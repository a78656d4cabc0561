package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// printer writes lines with the time since the demo began. Stories share it.
type printer struct {
	to    io.Writer
	began time.Time

	mu sync.Mutex
}

func (p *printer) sayf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	past := time.Since(p.began).Round(time.Second)
	fmt.Fprintf(p.to, "%d:%02d  %s\n", int(past.Minutes()), int(past.Seconds())%60, fmt.Sprintf(format, args...))
}

// block writes text as it is.
func (p *printer) block(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.to, text)
}
