//go:build linux

package rig

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// A CPUSet is the set of CPUs on which a thread may run, as in
// sched_setaffinity(2).
type CPUSet [1024 / 64]uint64

// CPUSetOf returns the set of the given CPUs.
func CPUSetOf(cpus ...int) CPUSet {
	var set CPUSet
	for _, cpu := range cpus {
		set[cpu/64] |= 1 << (cpu % 64)
	}
	return set
}

// List returns the CPUs in ascending order.
func (s *CPUSet) List() []int {
	var cpus []int
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			cpus = append(cpus, i*64+bits.TrailingZeros64(word))
		}
	}
	return cpus
}

func (s CPUSet) String() string {
	names := make([]string, 0, 2)
	for _, cpu := range s.List() {
		names = append(names, fmt.Sprint(cpu))
	}
	if len(names) == 1 {
		return "CPU " + names[0]
	}
	return "CPUs " + strings.Join(names, ", ")
}

// Affinity returns the CPUs on which this thread may run.
func Affinity() (CPUSet, error) {
	var set CPUSet
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return set, os.NewSyscallError("sched_getaffinity", errno)
	}
	return set, nil
}

func setAffinity(set CPUSet) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return os.NewSyscallError("sched_setaffinity", errno)
	}
	return nil
}

// pinned calls start on a thread that runs only on set. A process that start
// forks inherits the set. Afterwards the thread returns to its former set.
func pinned(set CPUSet, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	former, err := Affinity()
	if err != nil {
		return err
	}
	if err := setAffinity(set); err != nil {
		return err
	}
	err = start()
	if restoreErr := setAffinity(former); err == nil {
		err = restoreErr
	}
	return err
}
