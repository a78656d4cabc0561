package serving

// Datatype is an element type by its Open Inference Protocol name.
type Datatype string

// The datatypes of the protocol, and BF16, which servers add to it.
const (
	Bool   Datatype = "BOOL"
	Uint8  Datatype = "UINT8"
	Uint16 Datatype = "UINT16"
	Uint32 Datatype = "UINT32"
	Uint64 Datatype = "UINT64"
	Int8   Datatype = "INT8"
	Int16  Datatype = "INT16"
	Int32  Datatype = "INT32"
	Int64  Datatype = "INT64"
	FP16   Datatype = "FP16"
	BF16   Datatype = "BF16"
	FP32   Datatype = "FP32"
	FP64   Datatype = "FP64"
	Bytes  Datatype = "BYTES" // each element is its length in 4 bytes, then that many bytes
)

// Size gives the bytes of one element. It is 0 for Bytes, whose elements
// differ, and for what is no datatype.
func (d Datatype) Size() int {
	switch d {
	case Bool, Uint8, Int8:
		return 1
	case Uint16, Int16, FP16, BF16:
		return 2
	case Uint32, Int32, FP32:
		return 4
	case Uint64, Int64, FP64:
		return 8
	case Bytes:
	}
	return 0
}

// Known says whether d is one of the constants above.
func (d Datatype) Known() bool { return d == Bytes || d.Size() > 0 }
