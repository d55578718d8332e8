//go:build linux

package main

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// A cpuSet is the set of CPUs a thread may run on, as sched_setaffinity(2) has it.
type cpuSet [1024 / 64]uint64

func cpuSetOf(cpus ...int) cpuSet {
	var set cpuSet
	for _, cpu := range cpus {
		set[cpu/64] |= 1 << (cpu % 64)
	}
	return set
}

func (s *cpuSet) list() []int {
	var cpus []int
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			cpus = append(cpus, i*64+bits.TrailingZeros64(word))
		}
	}
	return cpus
}

func (s cpuSet) String() string {
	names := make([]string, 0, 2)
	for _, cpu := range s.list() {
		names = append(names, fmt.Sprint(cpu))
	}
	if len(names) == 1 {
		return "CPU " + names[0]
	}
	return "CPUs " + strings.Join(names, ", ")
}

func affinity() (cpuSet, error) {
	var set cpuSet
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return set, os.NewSyscallError("sched_getaffinity", errno)
	}
	return set, nil
}

func setAffinity(set cpuSet) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return os.NewSyscallError("sched_setaffinity", errno)
	}
	return nil
}

// pinned calls start on a thread that may run on set only; a process that start
// forks inherits this. The thread gets its former set back.
func pinned(set cpuSet, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	former, err := affinity()
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
