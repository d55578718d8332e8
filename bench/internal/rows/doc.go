// Package rows measures the questions of the benchmark.
//
// A Row is one question, answered with one or more results; docs/benchmarks.md
// explains every row. A Bench holds the settings of a run: the stoa program,
// the CPUs and the amount of load. Most rows start stoa and the floor on the
// same CPU and load them in turn, so that both are subject to the same noise;
// their ratios come from neighboring runs. The rows with several nodes start a
// fleet: two nodes and a Redis server, loaded by one client.
//
// A row fails if any of its premises does not hold: a message is lost, a rate
// is not reached, a connection closes. The package imports rig (processes),
// report (results), exchange, floor and probe for what their processes print,
// and internal/load. It exists on Linux only.
package rows
