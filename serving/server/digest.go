package server

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/sluice-dev/sluice/serving"
)

// digestHeader carries the digest of a response's tensors, so that two versions'
// answers can be compared without their bodies.
const digestHeader = "X-Sluice-Digest"

// digest is the same for the same outputs, however they are written: half of a
// SHA-256 over each output's name, datatype, shape and raw data.
func digest(outputs []serving.Tensor) string {
	h := sha256.New()
	field := func(data []byte) {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
		h.Write(length[:])
		h.Write(data)
	}
	for _, t := range outputs {
		field([]byte(t.Name))
		field([]byte(t.Datatype))
		field([]byte(t.Shape.String()))
		field(t.Data)
	}
	return hex.EncodeToString(h.Sum(nil)[:sha256.Size/2])
}
