package onnx

import (
	"bytes"
	"fmt"
	"runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/sluice-dev/sluice/serving"
)

// datatypeOf translates the runtime's element type. FP16 and BF16 are missing:
// the binding copies too little of outputs it allocates for them.
func datatypeOf(e ort.TensorElementDataType) (serving.Datatype, bool) {
	switch e {
	case ort.TensorElementDataTypeBool:
		return serving.Bool, true
	case ort.TensorElementDataTypeUint8:
		return serving.Uint8, true
	case ort.TensorElementDataTypeUint16:
		return serving.Uint16, true
	case ort.TensorElementDataTypeUint32:
		return serving.Uint32, true
	case ort.TensorElementDataTypeUint64:
		return serving.Uint64, true
	case ort.TensorElementDataTypeInt8:
		return serving.Int8, true
	case ort.TensorElementDataTypeInt16:
		return serving.Int16, true
	case ort.TensorElementDataTypeInt32:
		return serving.Int32, true
	case ort.TensorElementDataTypeInt64:
		return serving.Int64, true
	case ort.TensorElementDataTypeFloat:
		return serving.FP32, true
	case ort.TensorElementDataTypeDouble:
		return serving.FP64, true
	case ort.TensorElementDataTypeString:
		return serving.Bytes, true
	default:
		return "", false
	}
}

func elementOf(d serving.Datatype) ort.TensorElementDataType {
	switch d {
	case serving.Bool:
		return ort.TensorElementDataTypeBool
	case serving.Uint8:
		return ort.TensorElementDataTypeUint8
	case serving.Uint16:
		return ort.TensorElementDataTypeUint16
	case serving.Uint32:
		return ort.TensorElementDataTypeUint32
	case serving.Uint64:
		return ort.TensorElementDataTypeUint64
	case serving.Int8:
		return ort.TensorElementDataTypeInt8
	case serving.Int16:
		return ort.TensorElementDataTypeInt16
	case serving.Int32:
		return ort.TensorElementDataTypeInt32
	case serving.Int64:
		return ort.TensorElementDataTypeInt64
	case serving.FP32:
		return ort.TensorElementDataTypeFloat
	case serving.FP64:
		return ort.TensorElementDataTypeDouble
	case serving.Bytes, serving.FP16, serving.BF16: // strings have a type of their own; the others are refused by datatypeOf
	}
	return ort.TensorElementDataTypeUndefined
}

func signatureOf(inputs, outputs []ort.InputOutputInfo) (serving.Signature, error) {
	var s serving.Signature
	var err error
	if s.Inputs, err = specsOf("input", inputs); err != nil {
		return s, err
	}
	s.Outputs, err = specsOf("output", outputs)
	return s, err
}

func specsOf(side string, infos []ort.InputOutputInfo) ([]serving.Spec, error) {
	specs := make([]serving.Spec, len(infos))
	for i, info := range infos {
		if info.OrtValueType != ort.ONNXTypeTensor {
			return nil, fmt.Errorf("%s %q: only tensors can be served, found %v", side, info.Name, info.OrtValueType)
		}
		datatype, ok := datatypeOf(info.DataType)
		if !ok {
			return nil, fmt.Errorf("%s %q: datatype cannot be served, found %v", side, info.Name, info.DataType)
		}
		specs[i] = serving.Spec{Name: info.Name, Datatype: datatype, Shape: serving.Shape(info.Dimensions)}
	}
	return specs, nil
}

// valueOf lends a tensor's memory to the runtime until the pins are let go.
func valueOf(t serving.Tensor, pins *runtime.Pinner) (ort.Value, error) {
	shape := ort.Shape(t.Shape)
	if t.Datatype == serving.Bytes {
		return stringsOf(shape, t.Data)
	}
	pins.Pin(unsafe.SliceData(t.Data))
	return ort.NewCustomDataTensor(shape, t.Data, elementOf(t.Datatype))
}

func stringsOf(shape ort.Shape, data []byte) (ort.Value, error) {
	elements := serving.SplitBytes(data)
	texts := make([]string, len(elements))
	for i, e := range elements {
		if bytes.IndexByte(e, 0) >= 0 { // where the runtime's C strings end
			return nil, fmt.Errorf("element %d: ONNX Runtime takes no text with a zero byte, found %.40q", i, e)
		}
		texts[i] = string(e)
	}
	v, err := ort.NewStringTensor(shape)
	if err != nil {
		return nil, err
	}
	return v, v.SetContents(texts)
}

// tensorOf copies an output out of the runtime's memory.
func tensorOf(spec serving.Spec, v ort.Value) (serving.Tensor, error) {
	data, err := dataOf(v)
	shape := serving.Shape(v.GetShape().Clone())
	return serving.Tensor{Name: spec.Name, Datatype: spec.Datatype, Shape: shape, Data: data}, err
}

func dataOf(v ort.Value) ([]byte, error) {
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		return raw(v.GetData()), nil
	case *ort.Tensor[float64]:
		return raw(v.GetData()), nil
	case *ort.Tensor[bool]:
		return raw(v.GetData()), nil
	case *ort.Tensor[int8]:
		return raw(v.GetData()), nil
	case *ort.Tensor[int16]:
		return raw(v.GetData()), nil
	case *ort.Tensor[int32]:
		return raw(v.GetData()), nil
	case *ort.Tensor[int64]:
		return raw(v.GetData()), nil
	case *ort.Tensor[uint8]:
		return raw(v.GetData()), nil
	case *ort.Tensor[uint16]:
		return raw(v.GetData()), nil
	case *ort.Tensor[uint32]:
		return raw(v.GetData()), nil
	case *ort.Tensor[uint64]:
		return raw(v.GetData()), nil
	case *ort.StringTensor:
		return rawStrings(v)
	}
	return nil, fmt.Errorf("only tensors can be served, found %v", v.GetONNXType())
}

func rawStrings(v *ort.StringTensor) ([]byte, error) {
	texts, err := v.GetContents()
	var data []byte
	for _, t := range texts {
		data = serving.AppendBytes(data, []byte(t))
	}
	return data, err
}

// raw gives the bytes of a slice that Go owns: the binding copied it. The
// machines that ONNX Runtime is built for are little-endian, as the protocol.
func raw[T any](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(one)))
}
