"""One TOML recipe per TensorRT engine; a checkout's built engines land here, git-ignored."""
