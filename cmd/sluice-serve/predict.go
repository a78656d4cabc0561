package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/serving/server"
)

const predictLong = `Answers every line of a file: a line is a request's body, as one would post it to
/v2/models/NAME/infer, and gives one line of the output, in order, which is the answer's
body: {"error": "..."} where a line is no request that the model takes.

The output is appended to. If it has lines already, so many lines of the input are left
out, and a last line that was not written whole is written again: so a run that was
killed is started again by the same command, and goes on. The command fails only where
it cannot go on; lines with errors are counted in its log.`

// prediction is the command line of predict.
type prediction struct {
	flags
	input, output string
}

func predictCommand() *cobra.Command {
	var p prediction
	c := &cobra.Command{
		Use:           "predict --model-path FILE --model-name NAME --input FILE --output FILE",
		Short:         "Answer every line of a file",
		Long:          predictLong,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.check(); err != nil {
				return err
			}
			return p.run(c.Context(), slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil)))
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&p.input, "input", "", "`file` of requests, one a line (required)")
	c.Flags().StringVar(&p.output, "output", "", "`file` for the answers (required)")
	p.registerModel(c.Flags())
	return c
}

func (p *prediction) check() error {
	mistakes := []error{p.checkModel()}
	for _, required := range []struct{ flag, value string }{{"--input", p.input}, {"--output", p.output}} {
		if required.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s: missing", required.flag))
		}
	}
	return errors.Join(mistakes...)
}

// run answers what is left to answer.
func (p *prediction) run(ctx context.Context, log *slog.Logger) error {
	in, err := os.Open(p.input)
	if err != nil {
		return fmt.Errorf("--input: %w", err)
	}
	defer in.Close() //nolint:errcheck // it was read
	out, done, err := resume(p.output)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	lines := bufio.NewReaderSize(in, 1<<20)
	for range done {
		if _, err := line(lines); err != nil {
			return errors.Join(fmt.Errorf("--output: %d lines, but --input has fewer", done), out.Close())
		}
	}
	log.Info("begins", "lines_done_before", done)
	return errors.Join(p.answer(ctx, lines, out, log), out.Sync(), out.Close())
}

// resume opens the output behind its last whole line, and counts the lines.
func resume(path string) (file *os.File, done int, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // answers are meant to be read
	if err != nil {
		return nil, 0, err
	}
	whole := int64(0)
	for lines := bufio.NewReaderSize(file, 1<<20); ; done++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, 0, errors.Join(err, file.Close())
		}
		whole += int64(len(text))
	}
	_, err = file.Seek(whole, io.SeekStart)
	return file, done, errors.Join(err, file.Truncate(whole))
}

// line gives the next line without its end; io.EOF after the last.
func line(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadBytes('\n')
	if len(text) > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// answer serves the model to itself, without a network.
func (p *prediction) answer(ctx context.Context, in *bufio.Reader, out io.Writer, log *slog.Logger) error {
	src, err := newSource(p.flags, log)
	if err != nil {
		return err
	}
	p.capacity, p.maxBytes, p.maxBody = 64*p.maxBatch*p.devices, 1<<40, 1<<30
	c, err := p.server(ctx, src, log)
	if err != nil {
		return err
	}
	c.Listener = newNowhere()
	ready := make(chan struct{})
	c.Warm = func() { src.trim(); close(ready) }
	s, err := server.New(c)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving) }()
	select {
	case <-ready:
	case err := <-ended:
		return err
	}
	w := &window{
		handler: s.Handler(), path: "/v2/models/" + p.modelName + "/infer", log: log,
		answers: make(chan chan []byte, 4*p.maxBatch*p.devices),
	}
	err = w.pass(ctx, in, out)
	stop()
	return errors.Join(err, <-ended)
}

// window keeps some requests under way and writes their answers in order.
type window struct {
	handler http.Handler
	path    string
	answers chan chan []byte // in the order of the lines
	log     *slog.Logger

	written, failed int
	began, told     time.Time
}

// pass reads until the input ends, and writes every answer of what was read.
func (w *window) pass(ctx context.Context, in *bufio.Reader, out io.Writer) error {
	w.began, w.told = time.Now(), time.Now()
	read := make(chan error, 1)
	go func() { read <- w.read(ctx, in) }()
	buffered := bufio.NewWriterSize(out, 1<<20)
	var broken error
	for answer := range w.answers {
		text := <-answer
		if broken == nil && text != nil {
			broken = w.write(buffered, text)
		}
	}
	err := errors.Join(<-read, broken, buffered.Flush())
	w.log.Info("ends", "lines", w.written, "errors", w.failed, "seconds", time.Since(w.began).Seconds())
	return err
}

// read starts a request for each line.
func (w *window) read(ctx context.Context, in *bufio.Reader) error {
	defer close(w.answers)
	for {
		text, err := line(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("--input: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		answer := make(chan []byte, 1)
		w.answers <- answer
		go func() { answer <- w.ask(ctx, text) }()
	}
}

// ask gives the answer's body; nil if there is none because ctx ended.
func (w *window) ask(ctx context.Context, body []byte) []byte {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.path, bytes.NewReader(body))
		if err != nil {
			return errorLine(err)
		}
		a := &kept{header: http.Header{}}
		w.handler.ServeHTTP(a, r)
		switch {
		case ctx.Err() != nil:
			return nil
		case a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable:
			time.Sleep(time.Millisecond) // not yet ready, or many large lines at once
			continue
		case a.header.Get("Content-Type") != "application/json":
			return errorLine(errors.New("parameters.binary_data_output: raw tensors cannot stand in a line"))
		}
		return bytes.TrimRight(a.body.Bytes(), "\n")
	}
}

func errorLine(err error) []byte {
	text, _ := json.Marshal(map[string]string{"error": err.Error()}) //nolint:errchkjson // strings have a form
	return text
}

func (w *window) write(out *bufio.Writer, text []byte) error {
	if bytes.HasPrefix(text, []byte(`{"error":`)) {
		w.failed++
	}
	w.written++
	if time.Since(w.told) > 10*time.Second {
		w.told = time.Now()
		w.log.Info("goes on", "lines", w.written, "errors", w.failed, "per_second", float64(w.written)/time.Since(w.began).Seconds())
	}
	_, err := out.Write(append(text, '\n'))
	if err == nil && len(w.answers) == 0 { // nothing more is ready: a crash would lose it
		err = out.Flush()
	}
	return err
}

// kept is a response in memory.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
