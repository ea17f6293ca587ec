"""asgikit as a browser meets it: Chromium, driven through real servers."""
