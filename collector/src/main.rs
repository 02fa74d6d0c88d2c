//! The binary `plumbline-collector`.

fn main() -> std::process::ExitCode {
    plumbline_collector::cli::main()
}
