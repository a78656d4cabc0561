//go:build !linux

package stage

import "syscall"

// endWithParent needs a kernel that can; others leave the children of a killed
// parent running.
func endWithParent(*syscall.SysProcAttr) {}
