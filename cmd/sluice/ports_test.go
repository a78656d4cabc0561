package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

func TestPortsThatCannotBeReadKeepNobodyFromStarting(t *testing.T) {
	o := optionsFor(t)
	path := filepath.Join(o.state, portsFile)
	require.NoError(t, os.WriteFile(path, []byte(`{"ml/filetype":[{`), 0o600))
	var log bytes.Buffer

	p, err := newPlane(t.Context(), o, &log, &log)

	require.NoError(t, err)
	defer func() { require.NoError(t, p.close()) }()
	require.Contains(t, log.String(), "where proxies listened is not known")
	require.Contains(t, log.String(), path)
	require.Empty(t, p.readPorts())

	kept := xds.Formers{config.Key{Namespace: "ml", Name: "filetype"}: {{Listener: config.Listener{Port: 8080}}}}
	p.keepPorts(kept)
	require.Equal(t, kept, p.readPorts(), "the next ones are kept in its place")
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Equal(t, []string{path}, files, "and half a file is left nowhere")
}

func TestTheHelpNamesWhatLiesInTheStateFolder(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	o := optionsFor(t)
	p, err := newPlane(t.Context(), o, io.Discard, io.Discard)
	require.NoError(t, err)
	p.keepPorts(xds.Formers{})
	require.NoError(t, p.announce(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7460}))
	files, err := os.ReadDir(o.state)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, f := range files {
		require.Contains(t, newRun().Long, f.Name())
		require.Contains(t, string(readme), f.Name())
	}
	require.NoError(t, p.close())
}
