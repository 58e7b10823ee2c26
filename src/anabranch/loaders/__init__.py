"""Where desired state comes from: native SQL projects."""
