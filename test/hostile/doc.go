// Package hostile holds tests in which attackers share a node with innocent
// clients.
//
// The innocent clients lose nothing, are not closed, and are still served; the
// attack costs a bounded amount of memory, which is given back.
//
//	attack                                        outcome
//	asks to a room with a silent member           an answered ask ends at all members
//	asks to a room of silent members              bounded per member and per node
//	a burst above every reader's send queue       senders pause, no reader is closed
//	pages that are not read                       a write deadline ends them
//	messages that are never finished              closed with 1008 after 30 s
//
// TestAttacks has a table of further ones, and compares how fast the innocent
// clients are served with and without them. STOA_HOSTILE=long makes it longer.
package hostile
