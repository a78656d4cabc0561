package main

import (
	"bytes"
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
