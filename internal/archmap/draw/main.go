package main

import (
	"fmt"
	"os"

	"github.com/stoa-io/stoa/internal/archmap"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

func run() error {
	drawing, err := archmap.Draw(".")
	if err != nil {
		return err
	}
	return os.WriteFile(archmap.Drawing, drawing, 0o644)
}
