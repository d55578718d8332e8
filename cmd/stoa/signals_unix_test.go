//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// A command that watches no context ends by the signal, here while it reads a
// token from a pipe.
func TestSignalEndsACommandThatReads(t *testing.T) {
	command := exec.Command(os.Args[0], "token", "show")
	command.Env = append(os.Environ(), runMainVariable+"=1")
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.StartProcess(t, command)
	// More than the pipe holds: the command has begun to read.
	if _, err := stdin.Write(make([]byte, 65<<10)); err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGTERM)
	status, _ := p.Wait(t).Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the command ended with %v, want SIGTERM", status)
	}
}

// Files that are no regular files end a command at once.
func TestIrregularFiles(t *testing.T) {
	directory := t.TempDir()
	fifo := filepath.Join(directory, "f")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", directory} {
		file := filepath.Join(directory, "stoa.yaml")
		content := "auth: {jwt: {keys: {a: {secret_file: " + path + "}, b: {file: " + path + "}}}}\n" +
			"cluster: {redis: ['rediss://a'], redis_ca: " + path + "}\n"
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			count     int
			arguments []string
		}{
			{1, []string{"config", "check", path}},
			{3, []string{"config", "check", file}},
			{1, []string{"token", "new", "--user", "ann", "--secret-file", path}},
			{1, []string{"token", "new", "--user", "ann", "--key-file", path}},
		} {
			command := exec.CommandContext(t.Context(), os.Args[0], c.arguments...)
			command.Env = append(os.Environ(), runMainVariable+"=1")
			output, err := command.CombinedOutput()
			if err == nil || strings.Count(string(output), "regular file") != c.count {
				t.Errorf("%q: %v, %s, want %d errors about regular files", c.arguments, err, output, c.count)
			}
		}
	}
}
