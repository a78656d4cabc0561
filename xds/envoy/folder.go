package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// longestSocket is what a unix socket's path may measure, the terminating zero
// not counted.
const longestSocket = 107

// Folder is where an Envoy and its control plane meet: sockets, bootstrap, log
// and who runs.
type Folder struct {
	Dir string // absolute
	// sockets is Dir, or a short way to it.
	sockets string
}

// Open makes the folder if it is not there, readable by its owner only. Where its
// path is too long for a socket, sockets are reached by a short link in the
// folder for temporary files.
func Open(dir string) (Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Folder{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Folder{}, err
	}
	f := Folder{Dir: dir, sockets: dir}
	if len(f.Admin()) <= longestSocket {
		return f, nil
	}
	f.sockets, err = shortcut(dir)
	if err != nil {
		return Folder{}, err
	}
	if len(f.Admin()) > longestSocket {
		return Folder{}, fmt.Errorf("socket %s: its path has %d bytes, more than the %d that a socket may have", f.Admin(), len(f.Admin()), longestSocket)
	}
	return f, nil
}

// XDS is the socket of the discovery service.
func (f Folder) XDS() string { return filepath.Join(f.sockets, "xds.sock") }

// ALS is the socket of the access log and load report services.
func (f Folder) ALS() string { return filepath.Join(f.sockets, "als.sock") }

// Admin is the socket of Envoy's admin interface.
func (f Folder) Admin() string { return filepath.Join(f.sockets, "admin.sock") }

// Log is the file with what Envoy says.
func (f Folder) Log() string { return filepath.Join(f.Dir, "envoy.log") }

func (f Folder) bootstrap() string { return filepath.Join(f.Dir, "envoy.json") }
func (f Folder) pid() string       { return filepath.Join(f.Dir, "envoy.pid") }

// shortcut links to dir from a name that depends on dir alone, so that the next
// run and the Envoy of the last one find the same.
func shortcut(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	link := filepath.Join(os.TempDir(), "sluice-"+hex.EncodeToString(sum[:6]))
	if err := os.Symlink(dir, link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// Anyone may have made it: it must be ours and lead where it should.
	info, err := os.Lstat(link)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s: belongs to somebody else", link)
	}
	if to, err := os.Readlink(link); err != nil || to != dir {
		return "", fmt.Errorf("%s: leads to %q, not to %q", link, to, dir)
	}
	return link, nil
}

// dial reaches who serves a socket of this machine, or fails at once.
func dial(path string) (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
}

// Listen opens a unix socket with mode 0600. One that a killed process left is
// replaced; one that somebody serves is an error.
func Listen(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("socket %s: its path has %d bytes, more than the %d that a socket may have", path, len(path), longestSocket)
	}
	if c, err := dial(path); err == nil {
		_ = c.Close() // it only had to be there
		return nil, fmt.Errorf("socket %s: is served by another process", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
