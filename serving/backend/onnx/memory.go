package onnx

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void one_arena(void) { mallopt(M_ARENA_MAX, 1); }
static void give_back(void) { malloc_trim(0); }
#else
static void one_arena(void) {}
static void give_back(void) {}
#endif
*/
import "C"

import (
	"fmt"
	"os"
)

// shareMemory makes all threads allocate from one pool. A run may be called on
// any thread, and the C library would otherwise keep a pool for each.
func shareMemory() { C.one_arena() }

// Trim gives memory that runs no longer use back to the machine. It is worth
// calling after the largest batches ran once.
func (l *Library) Trim() { C.give_back() }

// resident is the process's memory in bytes; 0 where the system does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
