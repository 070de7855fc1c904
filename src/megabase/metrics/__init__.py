"""Every metric, once: moments that add up over windows, what follows from them, and intervals by resampling windows."""
