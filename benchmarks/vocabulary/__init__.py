"""The fused linear loss beside the unfused one."""
