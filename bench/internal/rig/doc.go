// Package rig starts the processes of a benchmark on chosen CPUs.
//
// A Process is pinned to its CPUs from its first instruction. The kernel kills
// it when this program dies, and the program never signals a process that it
// did not start. On top of it are the parts that the rows combine: a Server
// under test (stoa, the floor, or a node with handlers), a Loader (a client
// process that executes commands) and a Redis server.
//
// StartSelf runs the current executable in another role, so the package imports
// neither the floor nor the node. From this module it uses internal/load, and
// bench/internal/exchange for its Redis client. It exists on Linux only.
package rig
