//! Pure histograms, series and rolling windows.
