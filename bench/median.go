//go:build linux

package main

import "slices"

// median of an even number of values is the mean of the middle two; of none, zero.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the smallest value that at least the given part of the
// sorted values does not exceed; of none, zero.
func percentile(sorted []int64, part float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	index := int(part*float64(len(sorted)) + 0.999999)
	return sorted[min(max(index-1, 0), len(sorted)-1)]
}
