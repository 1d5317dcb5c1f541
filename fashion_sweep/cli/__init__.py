"""What a person sees and types: progress, previews, conclusions, and the command lines besides the main one."""
