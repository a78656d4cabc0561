package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// output is the file that predict appends to.
type output struct {
	file  *os.File
	lines int   // that are whole
	whole int64 // bytes of them
}

// resume opens the output, which no other run may be writing, and counts its
// lines. It changes nothing yet.
func (p *prediction) resume(in *os.File) (*output, error) {
	file, err := os.OpenFile(p.output, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // answers are meant to be read
	if err != nil {
		return nil, err
	}
	o := &output{file: file}
	if err := o.check(in); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := o.count(p.modelName); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", p.output, err), file.Close())
	}
	return o, nil
}

// check refuses what must not be written to.
func (o *output) check(in *os.File) error {
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: a file, found %v", o.file.Name(), info.Mode())
	}
	source, err := in.Stat()
	if err == nil && os.SameFile(info, source) {
		return fmt.Errorf("%s: the same file as --input", o.file.Name())
	}
	return errors.Join(err, o.lock())
}

// lock is held until the process ends or closes the file.
func (o *output) lock() error {
	region := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(o.file.Fd(), syscall.F_SETLK, &region)
	if err == nil {
		return nil
	}
	holder := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if asked := syscall.FcntlFlock(o.file.Fd(), syscall.F_GETLK, &holder); asked == nil && holder.Type != syscall.F_UNLCK {
		return fmt.Errorf("%s: process %d writes it", o.file.Name(), holder.Pid)
	}
	return fmt.Errorf("%s: lock: %w", o.file.Name(), err)
}

// count reads what is there, which must be answers of the model.
func (o *output) count(model string) error {
	name, err := json.Marshal(model)
	if err != nil {
		return err
	}
	forms := [][]byte{fmt.Appendf(nil, `{"model_name":%s,`, name), []byte(`{"error":`)}
	for lines := bufio.NewReaderSize(o.file, 1<<20); ; o.lines++ {
		text, err := lines.ReadBytes('\n')
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return err
		}
		if !begins(text, forms) || !ended && !bytes.HasSuffix(text, []byte("}\n")) {
			return fmt.Errorf("line %d: an answer of model %q, found %.40q", o.lines+1, model, text)
		}
		if ended {
			return nil
		}
		o.whole += int64(len(text))
	}
}

// begins says whether text begins as one of the forms, as far as it goes.
func begins(text []byte, forms [][]byte) bool {
	for _, f := range forms {
		n := min(len(text), len(f))
		if bytes.Equal(text[:n], f[:n]) {
			return true
		}
	}
	return false
}

// trim cuts off what follows the last whole line, and goes there.
func (o *output) trim() error {
	if err := o.file.Truncate(o.whole); err != nil {
		return err
	}
	_, err := o.file.Seek(o.whole, io.SeekStart)
	return err
}
