package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/serving/server"
)

const predictLong = `Answers every line of a file: a line is a request's body, as one would post it to
/v2/models/NAME/infer, and gives one line of the output, in order, which is the answer's
body: {"error": "..."} where a line is no request that the model takes.

The output is appended to. If it has lines already, so many lines of the input are left
out, and a last line that was not written whole is written again: so a run that was
killed is started again by the same command, and goes on. A file that holds anything but
answers of this model is left alone, and so is one that another run writes.

The command fails where it did not answer every line: when it is told to end, and when
the model answers nothing any more. Lines with errors are counted in its log; a deadline
of a line's own that cannot be met is such an error.`

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
	out, err := p.resume(in)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	lines := bufio.NewReaderSize(in, 1<<20)
	for range out.lines {
		if _, err := line(lines); err != nil {
			return errors.Join(fmt.Errorf("--output: %s: %d lines, but --input has fewer", p.output, out.lines), out.file.Close())
		}
	}
	if err := out.trim(); err != nil {
		return errors.Join(fmt.Errorf("--output: %w", err), out.file.Close())
	}
	log.Info("begins", "lines_done_before", out.lines)
	written, err := p.answer(ctx, lines, out.file, log)
	if err != nil {
		err = fmt.Errorf("%w; %s has the answers of %d lines, and the same command goes on from there", err, p.output, out.lines+written)
	}
	return errors.Join(err, out.file.Sync(), out.file.Close())
}

// line gives the next line without its end; io.EOF after the last.
func line(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadBytes('\n')
	if len(text) > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// answer serves the model to itself, without a network. It gives how many answers
// were written, all of them unless there is an error.
func (p *prediction) answer(ctx context.Context, in *bufio.Reader, out io.Writer, log *slog.Logger) (written int, err error) {
	src, err := newSource(p.flags, log)
	if err != nil {
		return 0, err
	}
	p.capacity, p.maxBytes, p.maxBody = 64*p.maxBatch*p.devices, 1<<40, 1<<30
	c, err := p.server(ctx, src, log)
	if err != nil {
		return 0, err
	}
	c.Listener = newNowhere()
	ready := make(chan struct{})
	c.Warm = func() { src.trim(); close(ready) }
	s, err := server.New(c)
	if err != nil {
		return 0, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // it outlives what it is asked
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving) }()
	select {
	case <-ready:
	case err := <-ended:
		return 0, err
	case <-ctx.Done(): // a warm-up run may take long
		return 0, errInterrupted
	}
	w := &window{
		handler: s.Handler(), path: "/v2/models/" + p.modelName + "/infer", log: log, probe: newProbe(c.Shaping.Sample(c.Backend.Signature(), 1)),
		answers: make(chan chan []byte, 4*p.maxBatch*p.devices),
	}
	err = w.pass(ctx, in, out)
	stop()
	return w.written, errors.Join(err, <-ended)
}
