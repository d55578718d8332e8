// Package outbox follows the confirmed emits of a client until they end.
//
// It is a state machine without clocks, goroutines and randomness: its driver
// sends the entries that Next returns, reports answers and losses, and keeps
// the time. So a simulation can play any schedule.
//
// An emit is sent again after a loss of the connection, and after an answer
// that leaves it open whether it was published: always with the same ID, by
// which the server publishes it once. Entries of one room are sent in the order
// of Add, each time.
package outbox
