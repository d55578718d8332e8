package redisbroker_test

import (
	"os"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m, os.Stderr)) }
