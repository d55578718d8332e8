package load

// Percentile returns the smallest of the sorted values that is no less than the
// given part of them, or zero if there are none.
func Percentile(sorted []int64, part float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	index := int(part*float64(len(sorted)) + 0.999999)
	return sorted[min(max(index-1, 0), len(sorted)-1)]
}
